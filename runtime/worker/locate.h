// Locate: from the path of a request to the file it may use. Inside one of the request's grants,
// and inside the policy's scopes once every link is gone.
//
//   Found found = KRUX_TRY(Locate(request));          // to read; what is not there is kNotFound
//   Found place = KRUX_TRY(LocatePlace(request));     // to put a file there
#pragma once

#include <string>
#include <string_view>

#include "runtime/request.h"
#include "runtime/worker/resolver.h"

namespace krux::runtime {

// The file that the argument `path` names. Codes of Resolve; kDenied: outside the read scope.
Result<Found> Locate(const Request& request);

// The place that `path` names (ResolvePlace). kDenied too where the place is riskier to write than
// the path that policy was asked about (runtime/write_risk.h).
Result<Found> LocatePlace(const Request& request);

// {"path", "path_bytes"?}: the path without links; its bytes where they are not UTF-8.
cbor::Map PathData(const Found& found);

// A number of the request, 0 where it has none of that name.
uint64_t Number(const Request& request, const char* name);

// "`a\xffb`"
std::string Quote(std::string_view text);

}  // namespace krux::runtime
