package apitest

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// discover answers what asks which resources there are; nil: that is not asked.
func discover(path []string) any {
	switch strings.Join(path, "/") {
	case "api":
		return metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, group := range []string{"apps", "batch"} {
			version := metav1.GroupVersionForDiscovery{GroupVersion: group + "/v1", Version: "v1"}
			list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
		}
		return list
	case "api/v1":
		return resourcesOf("v1")
	case "apis/apps/v1", "apis/batch/v1":
		return resourcesOf(strings.Join(path[1:], "/"))
	}
	return nil
}

var shortNames = map[string][]string{"Pod": {"po"}, "Service": {"svc"}, "Deployment": {"deploy"}, "DaemonSet": {"ds"}}

func resourcesOf(groupVersion string) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion}
	for kind, r := range resources {
		if r.groupVersion == groupVersion {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: r.name, SingularName: strings.ToLower(kind), ShortNames: shortNames[kind], Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch", "patch"},
			})
		}
	}
	return list
}
