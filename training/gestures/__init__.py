"""How both gesture networks are made: photographs, rendered hands, features, training, figures, export."""
