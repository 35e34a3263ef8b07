// krux-catalog-doc: prints docs/CATALOG.md.
#include <cstdio>

#include "runtime/catalog_text.h"

int main() {
  std::fputs(krux::runtime::CatalogMarkdown().c_str(), stdout);
  return 0;
}
