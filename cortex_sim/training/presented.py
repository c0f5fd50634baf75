"""Data of a training run, read and fitted to the network; what training and evaluation present."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from cortex_sim import data
from cortex_sim.augmentation.chain import Chain, declared
from cortex_sim.backends.torch.loading import Ahead
from cortex_sim.data.augmented import Augmented
from cortex_sim.data.images import ImageSet
from cortex_sim.data.pixels import Held
from cortex_sim.data.streamed.image_set import StreamedSet
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Preprocessing
from cortex_sim.sources import FORM, only_source
from cortex_sim.training.choosing import NO_VALIDATION
from cortex_sim.training.settings import Settings


def load_data(settings: Settings, net: Network, standardise: bool = True) -> ImageSet | StreamedSet:
    """Data of a run, fitted to the source; held out and standardised as the settings say.

    Only images in memory are standardised here, and none with ``standardise`` False.

    Raises
    ------
    RunError
        If the network has several sources.
    """
    images = _read(settings, net)[1]
    wanted = standardise and settings.standardise
    return images.standardised() if wanted and isinstance(images, ImageSet) else images


def _read(settings: Settings, net: Network) -> tuple[tuple[int, ...] | None, ImageSet | StreamedSet]:
    """Original shape of images in memory (None for pictures on disk), and the data fitted to the source."""
    why = f"train: data set {settings.data} shows one image per presentation"
    population = only_source(net, why, f"train from Python: model.fit(({FORM}, y))")
    shape = net.populations[population].shape
    stored: tuple[int, ...] | None = None
    images: ImageSet | StreamedSet
    if data.is_streamed(settings.data, shape, viewed=settings.view is not None):
        view, _ = declared(settings.view, _size(shape), "setting view")
        images = data.streamed_set(settings.data).fit_to(shape, population, view or None)
    elif settings.view is not None:
        raise RunError(
            f"setting view: {settings.data} is held in memory, where each image has the size of the network "
            "already; leave view out"
        )
    else:
        whole = data.load(settings.data)
        stored, images = whole.stimulus_shape, whole.fit_to(shape, population)
    if settings.hold_out:
        images = images.hold_out(settings.hold_out, seed=0)
    return stored, images


class Presented:
    """What a run presents, before and after its preprocessing is known.

    Parameters
    ----------
    settings : Settings
    net : Network

    Attributes
    ----------
    images : ImageSet or StreamedSet
        As stored, fitted to the network.
    """

    def __init__(self, settings: Settings, net: Network) -> None:
        self.settings = settings
        self._stored, self.images = _read(settings, net)
        self._shape = net.populations[net.sources[0]].shape
        size = _size(self._shape if self._stored is None else self._stored)
        steps, self._normalise = declared(settings.augmentation, size, "setting augmentation")
        self._chain = Chain(steps, settings.seed)
        if settings.early_stopping is not None and "validation" not in self.images.parts:
            raise RunError(NO_VALIDATION)

    def preprocessing(self, kept: Preprocessing | None) -> Preprocessing:
        """Preprocessing of the state that training starts from; else the declared or measured one.

        Parameters
        ----------
        kept : Preprocessing or None
            That of the state, if it has one.

        Raises
        ------
        RunError
            If the declared one differs from ``kept``.
        """
        stated = None if self._normalise is None else self._normalise.preprocessing(self._shape)
        if kept is not None:
            if stated not in (None, kept):
                raise RunError(
                    "setting augmentation: normalise differs from the preprocessing of the network that "
                    "training starts from, which is kept; leave normalise out"
                )
            return kept
        if stated is not None:
            return stated
        return self.images.preprocessing() if self.settings.standardise else Preprocessing(self._shape)

    def digest(self) -> str:
        """Digest of all parts' values and labels; of names, labels and classes for pictures on disk."""
        images, found = self.images, hashlib.sha256()
        found.update("\0".join(images.classes).encode())
        for name in images.parts:
            if isinstance(images, StreamedSet):
                part = images.of[name]
                for number in part.numbers.tolist():
                    found.update(os.fsencode(f"{part.store.name(number)}\0"))
                found.update(part.labels.data)
            else:
                x = getattr(images, f"x_{name}")
                found.update(f"{name} {x.shape}".encode())
                found.update(np.ascontiguousarray(x).data)
                found.update(np.ascontiguousarray(getattr(images, f"y_{name}")).data)
        return found.hexdigest()

    def training(self, shown: Preprocessing) -> Ahead | None:
        """The training part as a source; None if images in memory are shown without augmentation."""
        images, name = self.images, f"{self.images.name}, train"
        if isinstance(images, StreamedSet):
            source = images.augmented("train", self._chain, shown)
        elif self._chain.steps:
            pixels = Held(images.x_train.reshape(-1, *(self._stored or self._shape)))
            source = Augmented(name, pixels, images.y_train, self._chain, self._shape, shown)
        else:
            return None
        return Ahead(source, self.settings.workers)


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a picture (channel, row, column); of anything else, its length."""
    return (shape[-2], shape[-1]) if len(shape) > 1 else (shape[0], shape[0])
