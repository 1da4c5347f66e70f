"""What hospitals ask before they train: who the patients are, and which gaps so many of them can show."""
