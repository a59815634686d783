"""The services of the contract: each turns messages into calls of the engine, and nothing else."""
