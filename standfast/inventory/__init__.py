"""What users declare: the schema, a loader that finds every fault, and the secrets."""
