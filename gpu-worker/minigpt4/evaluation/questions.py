"""What is asked. The tasks are asked in the words of the API (src/tasks.ts)."""

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
# None of them is in the texts of any training.
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
SHORT, ANSWER, LONG = 40, 300, 700  # tokens: of a caption or name, of a text, of a web page


def task_turns(task: str, turns: int) -> tuple[str, ...]:
    """One question; or in two turns first the description, then the task over it."""
    return (DESCRIBE, TASKS[task]) if turns == 2 else (TASKS[task],)
