"""How the commands that make checkpoints say no."""


class Refused(Exception):
    """Input that cannot be used: `problem` names file and tensor or field, `way_out` what to do."""

    def __init__(self, problem: str, way_out: str = ""):
        super().__init__(problem)
        self.problem, self.way_out = problem, way_out

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.way_out}" if self.way_out else self.problem
