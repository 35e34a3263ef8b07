// Which ring stops what (layer_table.h): each row is run with its ring and without it, and once
// more with nothing but that ring missing and the receipt check in its place, which has to refuse
// the call. A ring that is taken out of the product turns its row red: `with` is then never said.

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/escape/layer_table.h"

namespace krux::sandbox {
namespace {

bool Begins(const std::string& text, const std::string& with) { return text.starts_with(with); }

Switches Both(const LayerRow& row) {
  Switches switches = row.others;
  switches.insert(switches.end(), row.ring.begin(), row.ring.end());
  return switches;
}

// The row of the receipt check is about that switch alone.
bool IsReceipt(const LayerRow& row) { return std::string(row.layer) == "receipt"; }

struct Measured {
  std::string with, without, alone;
  bool green = false;
};

Measured Measure(const LayerRow& row) {
  Measured m;
  m.with = RunWithout(row, row.others, IsReceipt(row));
  m.without = RunWithout(row, Both(row), IsReceipt(row));
  m.green = Begins(m.with, row.with) && Begins(m.without, row.without);
  if (row.receipt == nullptr) return m;
  m.alone = RunWithout(row, row.ring, true);
  m.green = m.green && Begins(m.alone, std::string("refused by ") + row.receipt + ":");
  return m;
}

class LayerOffTest : public testing::TestWithParam<LayerRow> {};

TEST_P(LayerOffTest, IsStoppedWithTheRingAndLetThroughWithoutIt) {
  ASSERT_EQ(geteuid(), 0u);
  const LayerRow& row = GetParam();
  const Measured m = Measure(row);
  EXPECT_TRUE(Begins(m.with, row.with)) << "with the ring: " << m.with;
  EXPECT_TRUE(Begins(m.without, row.without)) << "without the ring: " << m.without;
  // The verdicts must differ, or the absence of the ring would not be seen in the first column.
  EXPECT_FALSE(Begins(m.without, row.with)) << m.without;
  if (row.receipt != nullptr) {
    EXPECT_TRUE(Begins(m.alone, std::string("refused by ") + row.receipt + ":"))
        << "the receipt check let it go on or named another layer: " << m.alone;
  }
}

std::string TestName(const testing::TestParamInfo<LayerRow>& info) {
  std::string name = std::string(info.param.layer) + "_" + info.param.rule;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, LayerOffTest, testing::ValuesIn(LayerTable()), TestName);

TEST(LayerTable, EveryLayerHasARow) {
  std::string layers;
  for (const LayerRow& row : LayerTable()) layers += std::string(" ") + row.layer + " ";
  for (const Unshown& row : UnshownRings()) layers += std::string(" ") + row.layer + " ";
#define X(enumerator, bit, name) \
  EXPECT_NE(layers.find(" " name " "), std::string::npos) << "no row shows the layer " name;
  KRUX_LAYERS(X)
#undef X
}

TEST(LayerTable, ThePageIsWrittenFromIt) {
  std::ifstream in(std::string(KRUX_SOURCE_DIR) + "/docs/LAYERS.md");
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_NE(page.str().find(TableAsMarkdown()), std::string::npos)
      << "docs/LAYERS.md differs; `escape_layer_off_test --markdown` prints the table";
}

// For `./dev escape`: every row with what was measured just now. Exit 1 when one is red.
int PrintTable() {
  int red = 0;
  std::printf("%-5s %-12s %-28s %-24s %-44s %-44s %-46s %s\n", "", "RING", "RULE", "PROGRAM",
              "WITH IT", "WITHOUT IT", "RECEIPT CHECK, IT ALONE MISSING", "ALSO OUT IN BOTH RUNS");
  for (const LayerRow& row : LayerTable()) {
    const Measured m = Measure(row);
    red += m.green ? 0 : 1;
    const std::string alone = row.receipt != nullptr ? m.alone : std::string("– (") + row.why + ")";
    std::printf("%-5s %-12s %-28s %-24s %-44.44s %-44.44s %-46.46s %s\n", m.green ? "ok" : "RED",
                row.layer, row.rule, row.program, m.with.c_str(), m.without.c_str(), alone.c_str(),
                Readable(row.others).c_str());
    std::fflush(stdout);
  }
  for (const Unshown& row : UnshownRings())
    std::printf("%-5s %-12s %-28s %s\n", "owed", row.layer, row.rule, row.why);
  std::printf("%zu rows, %d red, %zu owed\n", LayerTable().size(), red, UnshownRings().size());
  return red == 0 ? 0 : 1;
}

}  // namespace
}  // namespace krux::sandbox

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--table") return krux::sandbox::PrintTable();
  if (word == "--markdown") {
    std::fputs(krux::sandbox::TableAsMarkdown().c_str(), stdout);
    return 0;
  }
  return RUN_ALL_TESTS();
}
