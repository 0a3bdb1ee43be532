"""The parts of scripts/bench-peers and scripts/plots."""
