"""How well cases are decided: counted, and judged by the usual statistics."""
