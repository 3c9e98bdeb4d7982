"""The sections of the report: each asks the data one question, and gives pictures, numbers and a finding."""
