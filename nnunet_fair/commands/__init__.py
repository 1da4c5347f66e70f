"""One module a command of ``nnunet_fair``: its arguments (``add_arguments``) and one call (``run``)."""
