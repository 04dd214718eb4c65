"""Hands to learn from and to be judged by: photographed, rendered posing, rendered living."""
