"""The commands of `hf-noisy`, a module each: what it is asked, and what it does. The scripts in recipes/ call the same."""
