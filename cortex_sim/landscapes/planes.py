"""The plane through three points of weight space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortex_sim.errors import DeclarationError

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Plane:
    """Plane through an origin and two other points; its first axis points to the first of these.

    Parameters
    ----------
    origin : array of shape (parameter,)
    axes : array of shape (2, parameter)
        Orthonormal.
    """

    origin: Array
    axes: Array

    @staticmethod
    def through(origin: Array, first: Array, second: Array) -> Plane:
        """The plane through three points.

        Raises
        ------
        DeclarationError
            If they lie on one line.
        """
        x, y = first - origin, second - origin
        length = np.linalg.norm(x)
        if length:
            x = x / length
        rest = y - (y @ x) * x
        if not length or np.linalg.norm(rest) <= 1e-9 * np.linalg.norm(y):
            raise DeclarationError("Plane: the three points lie on one line; give three that do not")
        return Plane(np.asarray(origin), np.stack((x, rest / np.linalg.norm(rest))))

    def coordinates(self, points: Array) -> Array:
        """Coordinates (point, 2) of the nearest points of the plane."""
        return (points - self.origin) @ self.axes.T

    def points(self, coordinates: Array) -> Array:
        """Points (point, parameter) at coordinates (point, 2)."""
        return self.origin + coordinates @ self.axes

    def outside(self, points: Array) -> Array:
        """Share of squared distance from the origin that is not in the plane, (point,); 0 at the origin."""
        away = points - self.origin
        whole = np.square(away).sum(1)
        inside = np.square(self.coordinates(points)).sum(1)
        return np.where(whole > 0, 1 - inside / np.where(whole > 0, whole, 1), 0.0).clip(0)
