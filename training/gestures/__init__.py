"""Training of both gesture networks: photographs, rendered hands, features, training, figures, export."""
