"""The command `jaxlatent`."""
