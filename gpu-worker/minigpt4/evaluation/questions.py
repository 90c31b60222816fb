"""The questions. The tasks have the wording of the API (src/tasks.ts)."""

DESCRIBE = "Describe this image in detail."
CAPTION = "Describe this image in one short sentence."
TASKS = {
    "story": "Write a short story about this picture.",
    "poem": "Write a short poem about this picture.",
    "recipe": "Write a recipe for the dish in this picture, with its ingredients and steps.",
    "website": "Write the HTML of a simple web page about what this picture shows.",
    "humour": "Explain what could be funny about this picture.",
    "advertisement": "Write a short advertisement for what this picture shows.",
}
READ = "What does the text in this picture say?"
DRAFT = "Write the HTML of the web page that is drawn in this picture, with its title and buttons."
NAME = "What is in this picture?"
# No training text has these wordings.
NAME_WORDINGS = (
    "Which object can you see in this image?",
    "Please tell me what is in the photo.",
    "what's this a picture of",
    "Identify the thing that this photograph is of.",
    "Say in a few words what stands in the middle of this image.",
    "I found this photo and wonder what it has in it. Can you help?",
    "If you had to give this picture a title, which thing would it name?",
    "What would a person looking at this notice first?",
    "Which animal, plant or object is that?",
    "Give the name of what you are looking at.",
)
SHORT, ANSWER, LONG = 40, 300, 700  # tokens for a caption or name, a text, a web page


def task_turns(task: str, turns: int) -> tuple[str, ...]:
    """The task as one question, or after a first turn that asks for a description."""
    return (DESCRIBE, TASKS[task]) if turns == 2 else (TASKS[task],)
