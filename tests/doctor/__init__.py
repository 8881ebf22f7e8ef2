"""The doctor, on broken machines."""
