"""`minigpt4-worker curate`: a stage-2 training set, made as the paper makes its own
(https://arxiv.org/abs/2304.10592, section 3.2), and from the captions that people wrote.

run.py is the order of events; docs/curation.md says what comes out.
"""
