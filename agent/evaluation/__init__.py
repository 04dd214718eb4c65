"""How good is it? Labelled photographs through the product's own code, and honest figures."""
