"""Runs one test module for ctest: exit 77 when everything was skipped, with the reasons."""

import sys
import unittest

result = unittest.main(module=sys.argv[1], argv=sys.argv[:1] + sys.argv[2:], exit=False).result
for test, reason in result.skipped:
    print(f"skipped: {test}: {reason}", file=sys.stderr)
if not result.wasSuccessful():
    sys.exit(1)
sys.exit(77 if result.skipped and len(result.skipped) >= result.testsRun else 0)
