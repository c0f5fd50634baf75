"""What cortex-sim raises: each message names the object, what was wrong and what would be right."""


class CortexSimError(ValueError):
    """Any input that cortex-sim refuses; the command line turns it into one line and status 2."""


class DeclarationError(CortexSimError):
    """A network, population, projection or rule that cannot mean anything."""


class BuildError(CortexSimError):
    """A declared network that the chosen backend cannot run as declared."""


class DataError(CortexSimError):
    """A data set that is missing, damaged or does not fit the network."""


class RunError(CortexSimError):
    """A run directory or setting that does not fit what was asked."""
