"""The gate: honest and hostile folders, files and archives."""
