"""One credit network for several kinds of inner run: supervised, from reward, and on functions."""
