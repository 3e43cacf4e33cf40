//! The labels that targets get. Those that end in an underscore are followed by a name from the cluster.

pub(super) const ENDPOINTSLICE_ADDRESS_TARGET_KIND: &str = "__meta_kubernetes_endpointslice_address_target_kind";
pub(super) const ENDPOINTSLICE_ADDRESS_TARGET_NAME: &str = "__meta_kubernetes_endpointslice_address_target_name";
pub(super) const ENDPOINTSLICE_ADDRESS_TYPE: &str = "__meta_kubernetes_endpointslice_address_type";
pub(super) const ENDPOINTSLICE_ENDPOINT_CONDITIONS_READY: &str =
    "__meta_kubernetes_endpointslice_endpoint_conditions_ready";
pub(super) const ENDPOINTSLICE_ENDPOINT_CONDITIONS_SERVING: &str =
    "__meta_kubernetes_endpointslice_endpoint_conditions_serving";
pub(super) const ENDPOINTSLICE_ENDPOINT_CONDITIONS_TERMINATING: &str =
    "__meta_kubernetes_endpointslice_endpoint_conditions_terminating";
pub(super) const ENDPOINTSLICE_ENDPOINT_HOSTNAME: &str = "__meta_kubernetes_endpointslice_endpoint_hostname";
pub(super) const ENDPOINTSLICE_ENDPOINT_NODE_NAME: &str = "__meta_kubernetes_endpointslice_endpoint_node_name";
pub(super) const ENDPOINTSLICE_ENDPOINT_TOPOLOGY: &str = "__meta_kubernetes_endpointslice_endpoint_topology_";
pub(super) const ENDPOINTSLICE_ENDPOINT_TOPOLOGY_PRESENT: &str =
    "__meta_kubernetes_endpointslice_endpoint_topology_present_";
pub(super) const ENDPOINTSLICE_ENDPOINT_ZONE: &str = "__meta_kubernetes_endpointslice_endpoint_zone";
pub(super) const ENDPOINTSLICE_PORT: &str = "__meta_kubernetes_endpointslice_port";
pub(super) const ENDPOINTSLICE_PORT_APP_PROTOCOL: &str = "__meta_kubernetes_endpointslice_port_app_protocol";
pub(super) const ENDPOINTSLICE_PORT_NAME: &str = "__meta_kubernetes_endpointslice_port_name";
pub(super) const ENDPOINTSLICE_PORT_PROTOCOL: &str = "__meta_kubernetes_endpointslice_port_protocol";
pub(super) const ENDPOINT_ADDRESS_TARGET_KIND: &str = "__meta_kubernetes_endpoint_address_target_kind";
pub(super) const ENDPOINT_ADDRESS_TARGET_NAME: &str = "__meta_kubernetes_endpoint_address_target_name";
pub(super) const ENDPOINT_HOSTNAME: &str = "__meta_kubernetes_endpoint_hostname";
pub(super) const ENDPOINT_NODE_NAME: &str = "__meta_kubernetes_endpoint_node_name";
pub(super) const ENDPOINT_PORT_NAME: &str = "__meta_kubernetes_endpoint_port_name";
pub(super) const ENDPOINT_PORT_PROTOCOL: &str = "__meta_kubernetes_endpoint_port_protocol";
pub(super) const ENDPOINT_READY: &str = "__meta_kubernetes_endpoint_ready";
pub(super) const INGRESS_CLASS_NAME: &str = "__meta_kubernetes_ingress_class_name";
pub(super) const INGRESS_HOST: &str = "__meta_kubernetes_ingress_host";
pub(super) const INGRESS_PATH: &str = "__meta_kubernetes_ingress_path";
pub(super) const INGRESS_SCHEME: &str = "__meta_kubernetes_ingress_scheme";
pub(super) const NAMESPACE: &str = "__meta_kubernetes_namespace";
pub(super) const NODE_ADDRESS: &str = "__meta_kubernetes_node_address_";
pub(super) const NODE_CONDITION: &str = "__meta_kubernetes_node_condition_";
pub(super) const NODE_PROVIDER_ID: &str = "__meta_kubernetes_node_provider_id";
pub(super) const POD_CONTAINER_ID: &str = "__meta_kubernetes_pod_container_id";
pub(super) const POD_CONTAINER_IMAGE: &str = "__meta_kubernetes_pod_container_image";
pub(super) const POD_CONTAINER_INIT: &str = "__meta_kubernetes_pod_container_init";
pub(super) const POD_CONTAINER_NAME: &str = "__meta_kubernetes_pod_container_name";
pub(super) const POD_CONTAINER_PORT_NAME: &str = "__meta_kubernetes_pod_container_port_name";
pub(super) const POD_CONTAINER_PORT_NUMBER: &str = "__meta_kubernetes_pod_container_port_number";
pub(super) const POD_CONTAINER_PORT_PROTOCOL: &str = "__meta_kubernetes_pod_container_port_protocol";
pub(super) const POD_CONTROLLER_KIND: &str = "__meta_kubernetes_pod_controller_kind";
pub(super) const POD_CONTROLLER_NAME: &str = "__meta_kubernetes_pod_controller_name";
pub(super) const POD_CRONJOB_NAME: &str = "__meta_kubernetes_pod_cronjob_name";
pub(super) const POD_DEPLOYMENT_NAME: &str = "__meta_kubernetes_pod_deployment_name";
pub(super) const POD_HOST_IP: &str = "__meta_kubernetes_pod_host_ip";
pub(super) const POD_IP: &str = "__meta_kubernetes_pod_ip";
pub(super) const POD_JOB_NAME: &str = "__meta_kubernetes_pod_job_name";
pub(super) const POD_NODE_NAME: &str = "__meta_kubernetes_pod_node_name";
pub(super) const POD_PHASE: &str = "__meta_kubernetes_pod_phase";
pub(super) const POD_READY: &str = "__meta_kubernetes_pod_ready";
pub(super) const POD_UID: &str = "__meta_kubernetes_pod_uid";
pub(super) const SERVICE_CLUSTER_IP: &str = "__meta_kubernetes_service_cluster_ip";
pub(super) const SERVICE_EXTERNAL_NAME: &str = "__meta_kubernetes_service_external_name";
pub(super) const SERVICE_LOADBALANCER_IP: &str = "__meta_kubernetes_service_loadbalancer_ip";
pub(super) const SERVICE_PORT_NAME: &str = "__meta_kubernetes_service_port_name";
pub(super) const SERVICE_PORT_NUMBER: &str = "__meta_kubernetes_service_port_number";
pub(super) const SERVICE_PORT_PROTOCOL: &str = "__meta_kubernetes_service_port_protocol";
pub(super) const SERVICE_TYPE: &str = "__meta_kubernetes_service_type";

/// What labels and annotations of an object of one kind are told as.
#[derive(Debug)]
pub(super) struct Kind {
    /// The name of the object.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) label_present: &'static str,
    pub(super) annotation: &'static str,
    pub(super) annotation_present: &'static str,
}

pub(super) const OF_NODE: Kind = Kind {
    name: "__meta_kubernetes_node_name",
    label: "__meta_kubernetes_node_label_",
    label_present: "__meta_kubernetes_node_labelpresent_",
    annotation: "__meta_kubernetes_node_annotation_",
    annotation_present: "__meta_kubernetes_node_annotationpresent_",
};

pub(super) const OF_POD: Kind = Kind {
    name: "__meta_kubernetes_pod_name",
    label: "__meta_kubernetes_pod_label_",
    label_present: "__meta_kubernetes_pod_labelpresent_",
    annotation: "__meta_kubernetes_pod_annotation_",
    annotation_present: "__meta_kubernetes_pod_annotationpresent_",
};

pub(super) const OF_SERVICE: Kind = Kind {
    name: "__meta_kubernetes_service_name",
    label: "__meta_kubernetes_service_label_",
    label_present: "__meta_kubernetes_service_labelpresent_",
    annotation: "__meta_kubernetes_service_annotation_",
    annotation_present: "__meta_kubernetes_service_annotationpresent_",
};

pub(super) const OF_ENDPOINTS: Kind = Kind {
    name: "__meta_kubernetes_endpoints_name",
    label: "__meta_kubernetes_endpoints_label_",
    label_present: "__meta_kubernetes_endpoints_labelpresent_",
    annotation: "__meta_kubernetes_endpoints_annotation_",
    annotation_present: "__meta_kubernetes_endpoints_annotationpresent_",
};

pub(super) const OF_ENDPOINTSLICE: Kind = Kind {
    name: "__meta_kubernetes_endpointslice_name",
    label: "__meta_kubernetes_endpointslice_label_",
    label_present: "__meta_kubernetes_endpointslice_labelpresent_",
    annotation: "__meta_kubernetes_endpointslice_annotation_",
    annotation_present: "__meta_kubernetes_endpointslice_annotationpresent_",
};

pub(super) const OF_INGRESS: Kind = Kind {
    name: "__meta_kubernetes_ingress_name",
    label: "__meta_kubernetes_ingress_label_",
    label_present: "__meta_kubernetes_ingress_labelpresent_",
    annotation: "__meta_kubernetes_ingress_annotation_",
    annotation_present: "__meta_kubernetes_ingress_annotationpresent_",
};

pub(super) const OF_NAMESPACE: Kind = Kind {
    name: NAMESPACE,
    label: "__meta_kubernetes_namespace_label_",
    label_present: "__meta_kubernetes_namespace_labelpresent_",
    annotation: "__meta_kubernetes_namespace_annotation_",
    annotation_present: "__meta_kubernetes_namespace_annotationpresent_",
};
