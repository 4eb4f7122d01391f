"""The commands of `hf-noisy`, one module per command. The scripts in recipes/ call the same functions."""
