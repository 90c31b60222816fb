"""Trains a SentencePiece model like LLaMA's on a few sentences, for synthetic sets."""

import io
from itertools import count, islice, product

SENTENCES = """
Describe this image in detail. Could you describe the contents of this picture for me?
Please say what you see: a small red boat lies on the grey sand beside the quiet water.
Two children in yellow coats are running along the beach with a brown dog and a blue kite.
The street is wet after the rain, and the lights of the shops shine in the puddles.
There is a wooden table with a white cup of coffee, a spoon, three lemons and an open book.
An old man sits on a bench under the tree and reads the newspaper in the afternoon sun.
The cat is sleeping on the window sill between two plants; behind the glass it is snowing.
How many people are there in the photo, and what are they doing? What colour is the car?
On the left stands a tall building of glass and stone, on the right a church with a green roof.
A woman is riding a bicycle through the park, and her basket is full of bread and flowers.
This picture was taken early in the morning, when the fog was still hanging over the fields.
In the background you can see mountains covered with snow and a narrow road that leads there.
The sign says that the market opens at nine; the people are waiting in a long line outside.
A plate with fish, rice, green beans and a slice of orange is standing next to the candle.
I think that the weather is warm, because everybody is wearing a shirt with short sleeves.
The horse is looking over the fence, and the birds are flying away from the field together.
Human: what is shown here? Assistant: the image shows a train which is leaving the station.
Write a short poem about the picture. Tell me a story about it. Explain why it is funny.
Is there anything unusual about this scene? Yes, the clock on the tower has no hands at all.
Give the following image: you will be able to see it once it is provided. Answer the question.
The number of chairs is twelve, the number of tables four; nobody sits down yet, though.
Under the bridge a fisherman throws his net, while the ferry carries cars across the river.
""".strip().splitlines()
CHARACTERS = "".join(chr(code) for code in range(33, 127))
LEARNT = 800  # pieces, of them 3 controls, 256 bytes


def make(pieces: int = LEARNT) -> bytes:
    """A tokenizer.model with byte fallback; pieces beyond LEARNT are made up.

    Raises ValueError for fewer than LEARNT.
    """
    import sentencepiece
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    if pieces < LEARNT:
        raise ValueError(f"a tokenizer of {pieces} pieces: at least {LEARNT} are needed")
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=made,
        model_type="bpe",
        vocab_size=LEARNT,
        byte_fallback=True,
        character_coverage=1.0,
        required_chars=CHARACTERS,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    model = ModelProto.FromString(made.getvalue())
    held = {piece.piece for piece in model.pieces}
    lowest = min(piece.score for piece in model.pieces)
    words = [piece.piece for piece in model.pieces[259:] if piece.piece.isalpha()]
    joined = (a + b for a, b in product(words, words) if a + b not in held)
    for n, text in zip(count(1), islice(dict.fromkeys(joined), pieces - LEARNT), strict=False):
        model.pieces.add(piece=text, score=lowest - n)
    model.trainer_spec.vocab_size = len(model.pieces)
    return model.SerializeToString(deterministic=True)
