"""How chueok's own proposal network is made: `python -m chueok.lab.proposals CROPS OUT`.

It takes P-Net's place in the detection cascade (vision/proposals.py) and learns from aligned face crops alone, laid
over made-up scenery: no photo with a face in it, and no label beside what MTCNN says of each crop.
"""
