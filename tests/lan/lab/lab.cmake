# Programs of the lab in network namespaces (tests/lan/nat.mjs): an internet with delay and loss, and one machine of it.
add_executable(lab_wan ${PROJECT_SOURCE_DIR}/tests/lan/lab/wan.c)
target_link_libraries(lab_wan PRIVATE hp_flags)
add_executable(tunnel_lab ${PROJECT_SOURCE_DIR}/tests/lan/lab/lab.c ${PROJECT_SOURCE_DIR}/tests/lan/lab/hub.c)
target_link_libraries(tunnel_lab PRIVATE hp_flags hp_tunnel hp_identity hp_path hp_pool hp_os hp_base PkgConfig::UV
  PkgConfig::JANSSON PkgConfig::GNUTLS)
set_target_properties(lab_wan tunnel_lab PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lab)
add_custom_target(lab DEPENDS lab_wan tunnel_lab)
