"""Configuration: reads settings and rule files into frozen models, with the position of every problem."""
