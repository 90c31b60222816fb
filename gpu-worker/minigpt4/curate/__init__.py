"""`minigpt4-worker curate` makes a stage-2 training set as the paper does, and from captions.

The paper: https://arxiv.org/abs/2304.10592, section 3.2. run.py has the order of the steps;
docs/curation.md describes the result.
"""
