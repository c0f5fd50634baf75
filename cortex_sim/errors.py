"""The exceptions of cortex-sim: each message names the object, what was wrong and what would be right."""


class CortexSimError(ValueError):
    """Base of all errors about refused input; the command line turns it into one line and status 2."""


class DeclarationError(CortexSimError):
    """A network, population, projection, rule or argument that is not valid."""


class BuildError(CortexSimError):
    """A declared network that the chosen backend cannot run as declared."""


class DataError(CortexSimError):
    """A data set that is missing, damaged or does not fit the network."""


class RunError(CortexSimError):
    """A run directory or setting that does not fit the request."""
