"""The parts of scripts/bench-peers, scripts/bench-own and scripts/plots."""
