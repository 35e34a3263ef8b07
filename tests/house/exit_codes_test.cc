// The table of exit codes in docs/EXIT_CODES.md is the one of base/exit_code.h.
#include <gtest/gtest.h>

#include "base/exit_code.h"
#include "tests/house/tree.h"

namespace krux::house {
namespace {

TEST(ExitCodes, TheDocumentedTableIsTheOneInTheCode) {
  std::vector<std::string> documented;
  for (const std::string& line : Lines("docs/EXIT_CODES.md")) {
    const std::vector<std::string> cells = Cells(line);
    if (cells.size() != 3 || cells[0].empty() || !isdigit(static_cast<unsigned char>(cells[0][0])))
      continue;
    documented.push_back(cells[0] + " " + cells[1] + " " + cells[2]);
  }
  const std::vector<std::string> coded = {
#define X(enumerator, number, name, meaning) #number " `" name "` " meaning,
      KRUX_EXIT_CODES(X)
#undef X
  };
  EXPECT_EQ(documented, coded);
}

}  // namespace
}  // namespace krux::house
