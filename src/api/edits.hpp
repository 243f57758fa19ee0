// Changes of single things, as functions from one configuration to the next. Pure.
#pragma once

#include <boost/json.hpp>

#include "base/result.hpp"
#include "model/config.hpp"

namespace sluice::api {

Result<model::Config> add_service(model::Config config, const model::Service& service);
Result<model::Config> replace_service(model::Config config, const std::string& name,
                                      const model::Service& service);
Result<model::Config> remove_service(model::Config config, const std::string& name);

Result<model::Config> add_pool(model::Config config, const model::Pool& pool);
Result<model::Config> replace_pool(model::Config config, const std::string& name,
                                   const model::Pool& pool);
Result<model::Config> remove_pool(model::Config config, const std::string& name);

/// @param id as on the wire: `10.0.1.11` or `[fd00::1]:80`
Result<model::Config> add_backend(model::Config config, const std::string& pool,
                                  const model::Backend& backend);
Result<model::Config> remove_backend(model::Config config, const std::string& pool,
                                     const std::string& id);
/// Merges fields into a backend (RFC 7396).
Result<model::Config> patch_backend(model::Config config, const std::string& pool,
                                    const std::string& id, const boost::json::value& patch);

/// Adds the interface, or gives it another mode.
Result<model::Config> attach(model::Config config, const std::string& interface,
                             model::XdpMode mode);
Result<model::Config> detach(model::Config config, const std::string& interface);
Result<model::Config> detach_all(model::Config config);

}  // namespace sluice::api
