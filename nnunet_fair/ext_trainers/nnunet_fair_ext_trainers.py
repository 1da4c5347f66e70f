"""Hands on the plugin's trainers to nnU-Net's look-up by name; see ``nnunet_fair env``."""
