// krux version, krux help exit-codes.
#include "base/exit_code.h"
#include "tools/command.h"

namespace krux::tools {

int RunVersion(Format format) {
  const Output out(format);
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.version/1"},
                        {"version", KRUX_VERSION},
                        {"protocol", 1},
                        {"log_format", 1}});
  } else {
    out.Text("krux " KRUX_VERSION " (protocol 1, log format 1)\n");
  }
  return 0;
}

int RunHelpExitCodes(Format format) {
  const Output out(format);
  cbor::Array codes;
  std::vector<std::vector<std::string>> rows{{"CODE", "NAME", "MEANING"}};
#define X(enumerator, number, name, meaning) \
  rows.push_back({#number, name, meaning});  \
  codes.emplace_back(cbor::Map{{"code", number}, {"name", name}, {"meaning", meaning}});
  KRUX_EXIT_CODES(X)
#undef X
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.exit_codes/1"}, {"codes", std::move(codes)}});
  } else {
    out.Table(rows);
    out.Text(
        "\naudit verify: 0 whole and signed · 1 tampered · 2 incomplete · 3 cannot be verified\n");
  }
  return 0;
}

}  // namespace krux::tools
