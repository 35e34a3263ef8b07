// The catalog as text for people: docs/CATALOG.md is exactly this.
//
//   std::cout << runtime::CatalogMarkdown();
#pragma once

#include <string>

namespace krux::runtime {

std::string CatalogMarkdown();

}  // namespace krux::runtime
