"""Everything a machine without a network needs, as one signed bundle: made, checked, installed, compared.

`ed25519`, `manifest`, `container`, `checking`, `placing` and `bootstrap` import the standard library alone, besides
`workbench/errors.py` and `locking.py`: they travel in the bundle as `install.pyz` and run where nothing is installed.
"""
