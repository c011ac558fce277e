"""
Guards in front of what cannot be undone: which commands those are.

Shims on servers and on laptops ask the same question, so the answer stands here: `classification.classify`.
"""
