"""The effect study: does divergence-driven training lift the worst-off patients without hurting the others?"""
