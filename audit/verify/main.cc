// krux-verify: judges an audit log. A program of its own, so that whoever audits needs nothing
// else.
#include <getopt.h>

#include <cstdio>
#include <string>

#include "audit/verify/claims.h"
#include "audit/verify/verify.h"

namespace krux::audit::verify {
namespace {

constexpr int kUsageExit = 64;
constexpr char kUsage[] =
    "usage: krux-verify [--key FILE] [--expected-head HEX] [--live] [--json] DIR\n"
    "       krux-verify claims\n"
    "Judges the audit log in DIR: every checksum, link, body, opening and signature.\n"
    "exit: 0 ok, 1 tampered, 2 incomplete (a torn end, or records not signed yet), 3 cannot "
    "verify\n"
    "`claims` prints what krux claims, what shows it, and the code on which that was checked.\n";

const char* ClassName(Exit cls) {
  switch (cls) {
    case kOk:
      return "ok";
    case kTampered:
      return "tampered";
    case kIncomplete:
      return "incomplete";
    case kCannot:
      return "cannot verify";
  }
  return "";
}

// Paths come from the caller and from a folder that is under suspicion: no control reaches a
// terminal.
std::string Printable(const std::string& text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

std::string JsonText(const std::string& text) {
  std::string out = "\"";
  for (const char c : Printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

void PrintJson(const Report& report) {
  std::printf(
      "{\"exit\":%d,\"verdict\":%s,\"log_id\":%s,\"records\":%llu,\"signed\":%llu,"
      "\"checkpoints\":%llu,\"head\":%s,\"more_faults\":%llu,\"faults\":[",
      report.exit, JsonText(ClassName(static_cast<Exit>(report.exit))).c_str(),
      JsonText(report.log_id).c_str(), static_cast<unsigned long long>(report.records),
      static_cast<unsigned long long>(report.signed_size),
      static_cast<unsigned long long>(report.checkpoints), JsonText(report.head).c_str(),
      static_cast<unsigned long long>(report.more_faults));
  const char* separator = "";
  for (const Fault& fault : report.faults) {
    std::printf("%s{\"class\":%s,\"file\":%s,\"offset\":%llu,\"seq\":%s,\"text\":%s}", separator,
                JsonText(ClassName(fault.cls)).c_str(), JsonText(fault.file).c_str(),
                static_cast<unsigned long long>(fault.offset),
                fault.seq ? std::to_string(*fault.seq).c_str() : "null",
                JsonText(fault.text).c_str());
    separator = ",";
  }
  std::printf("]}\n");
}

void PrintText(const Report& report) {
  for (const Fault& fault : report.faults) {
    std::printf("%s: %s:%llu: %s\n", ClassName(fault.cls), Printable(fault.file).c_str(),
                static_cast<unsigned long long>(fault.offset), Printable(fault.text).c_str());
  }
  if (report.more_faults > 0) {
    std::printf("and %llu more faults\n", static_cast<unsigned long long>(report.more_faults));
  }
  std::printf("%s: log %s, %llu records, %llu signed, %llu checkpoints, head %s\n",
              ClassName(static_cast<Exit>(report.exit)),
              report.log_id.empty() ? "?" : report.log_id.c_str(),
              static_cast<unsigned long long>(report.records),
              static_cast<unsigned long long>(report.signed_size),
              static_cast<unsigned long long>(report.checkpoints),
              report.head.empty() ? "?" : report.head.c_str());
}

int Main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "claims") {
    std::fputs(kClaims, stdout);
    return 0;
  }
  static const option kOptions[] = {
      {"key", required_argument, nullptr, 'k'}, {"expected-head", required_argument, nullptr, 'e'},
      {"live", no_argument, nullptr, 'l'},      {"json", no_argument, nullptr, 'j'},
      {"help", no_argument, nullptr, 'h'},      {nullptr, 0, nullptr, 0}};
  Options options;
  bool json = false;
  int letter;
  while ((letter = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'k':
        options.public_key = optarg;
        break;
      case 'e':
        options.expected_head = optarg;
        break;
      case 'l':
        options.live = true;
        break;
      case 'j':
        json = true;
        break;
      case 'h':
        std::fputs(kUsage, stdout);
        return 0;
      default:
        std::fputs(kUsage, stderr);
        return kUsageExit;
    }
  }
  if (optind + 1 != argc) {
    std::fputs(kUsage, stderr);
    return kUsageExit;
  }
  if (options.public_key.empty()) options.public_key = DefaultPublicKey(argv[optind]);
  const Report report = VerifyLog(argv[optind], options);
  json ? PrintJson(report) : PrintText(report);
  return report.exit;
}

}  // namespace
}  // namespace krux::audit::verify

int main(int argc, char** argv) {
  try {
    return krux::audit::verify::Main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "krux-verify: %s\n", e.what());
    return krux::audit::verify::kCannot;
  }
}
