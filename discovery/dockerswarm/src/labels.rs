//! What labels are called. Those that end in an underscore are followed by the name of a label of the swarm.

use rosterd_engine::NetworkLabels;

pub(super) const CONTAINER_LABEL: &str = "__meta_dockerswarm_container_label_";
pub(super) const NODE_ADDRESS: &str = "__meta_dockerswarm_node_address";
pub(super) const NODE_AVAILABILITY: &str = "__meta_dockerswarm_node_availability";
pub(super) const NODE_ENGINE_VERSION: &str = "__meta_dockerswarm_node_engine_version";
pub(super) const NODE_HOSTNAME: &str = "__meta_dockerswarm_node_hostname";
pub(super) const NODE_ID: &str = "__meta_dockerswarm_node_id";
pub(super) const NODE_LABEL: &str = "__meta_dockerswarm_node_label_";
pub(super) const NODE_MANAGER_ADDRESS: &str = "__meta_dockerswarm_node_manager_address";
pub(super) const NODE_MANAGER_LEADER: &str = "__meta_dockerswarm_node_manager_leader";
pub(super) const NODE_MANAGER_REACHABILITY: &str = "__meta_dockerswarm_node_manager_reachability";
pub(super) const NODE_PLATFORM_ARCHITECTURE: &str = "__meta_dockerswarm_node_platform_architecture";
pub(super) const NODE_PLATFORM_OS: &str = "__meta_dockerswarm_node_platform_os";
pub(super) const NODE_ROLE: &str = "__meta_dockerswarm_node_role";
pub(super) const NODE_STATUS: &str = "__meta_dockerswarm_node_status";
pub(super) const SERVICE_ENDPOINT_PORT_NAME: &str = "__meta_dockerswarm_service_endpoint_port_name";
pub(super) const SERVICE_ENDPOINT_PORT_PUBLISH_MODE: &str = "__meta_dockerswarm_service_endpoint_port_publish_mode";
pub(super) const SERVICE_ID: &str = "__meta_dockerswarm_service_id";
pub(super) const SERVICE_LABEL: &str = "__meta_dockerswarm_service_label_";
pub(super) const SERVICE_MODE: &str = "__meta_dockerswarm_service_mode";
pub(super) const SERVICE_NAME: &str = "__meta_dockerswarm_service_name";
pub(super) const SERVICE_TASK_CONTAINER_HOSTNAME: &str = "__meta_dockerswarm_service_task_container_hostname";
pub(super) const SERVICE_TASK_CONTAINER_IMAGE: &str = "__meta_dockerswarm_service_task_container_image";
pub(super) const SERVICE_UPDATING_STATUS: &str = "__meta_dockerswarm_service_updating_status";
pub(super) const TASK_CONTAINER_ID: &str = "__meta_dockerswarm_task_container_id";
pub(super) const TASK_DESIRED_STATE: &str = "__meta_dockerswarm_task_desired_state";
pub(super) const TASK_ID: &str = "__meta_dockerswarm_task_id";
pub(super) const TASK_PORT_PUBLISH_MODE: &str = "__meta_dockerswarm_task_port_publish_mode";
pub(super) const TASK_SLOT: &str = "__meta_dockerswarm_task_slot";
pub(super) const TASK_STATE: &str = "__meta_dockerswarm_task_state";

pub(super) static NETWORK: NetworkLabels = NetworkLabels {
    id: "__meta_dockerswarm_network_id",
    name: "__meta_dockerswarm_network_name",
    scope: "__meta_dockerswarm_network_scope",
    internal: "__meta_dockerswarm_network_internal",
    ingress: "__meta_dockerswarm_network_ingress",
    label: "__meta_dockerswarm_network_label_",
};
