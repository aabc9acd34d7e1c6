"""Problems for examples, tests and pages: physics, test functions, catalogues."""
