"""What the application gives to a request: what was opened, the desk, and the generator that the address names."""

from typing import Annotated

from fastapi import Depends, Request

from sorby.app.desk import Desk
from sorby.app.opened import Opened
from sorby.app.sides import Sides
from sorby.generator import Generator


async def _opened(request: Request) -> Opened:
    opened: Opened = request.app.state.opened
    return opened


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _sides(request: Request) -> Sides:
    sides: Sides = request.app.state.sides
    return sides


GivenOpened = Annotated[Opened, Depends(_opened)]
GivenDesk = Annotated[Desk, Depends(_desk)]
GivenSides = Annotated[Sides, Depends(_sides)]


async def _generator(name: str, opened: GivenOpened) -> Generator:
    return opened.generator(name)


GivenGenerator = Annotated[Generator, Depends(_generator)]
"""The generator `name` of the address; refused in one line where none of this name is open."""
