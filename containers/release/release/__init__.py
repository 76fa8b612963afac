"""From a month's stage folders to a published release: seal, collect, split, package, publish, report."""
