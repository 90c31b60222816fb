"""The error for input that a command cannot use."""


class InputError(Exception):
    """`problem` names the file, tensor or option that is wrong; `hint` says what to do."""

    def __init__(self, problem: str, hint: str = ""):
        super().__init__(problem)
        self.problem, self.hint = problem, hint

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.hint}" if self.hint else self.problem
