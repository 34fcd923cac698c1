"""The version of the tool: what --version says, and what the installed package is called."""

__version__ = "0.1.0"
