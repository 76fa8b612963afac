"""Errors that a person can act on: their message is the one line that a stage prints before it exits."""


class StageError(Exception):
    """A stage cannot go on. The message says what, where, what was expected and what to do."""


class UnavailableError(StageError):
    """What the stage needs is out for longer than it waits (a store, for minutes): exit code 75, to be tried again."""


class EmptyInput(Exception):  # noqa: N818 - not an error: Airflow shows it as skipped
    """There was nothing to do: the stage exits with code 99."""
